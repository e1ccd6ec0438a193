"""What is said, and where: subjects, messages, frames, ports, errors. No I/O, no clock."""
