"""`dozvon check`: what is wrong with an installation. The command is `run`; the engine needs `proof`."""
