"""The outside world behind the ports of `protocol.ports`."""
