"""Programs that a dialplan runs, one a file. Outbound calls need none: they ask the engine by FastAGI."""
