"""Messages that callers leave: recorded by a flow, listened to by people."""
