"""The parts of a session's shell: its voice, its ears, its mouth; `actors.session` puts them together."""
