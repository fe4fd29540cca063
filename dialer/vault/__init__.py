"""Where the files of recordings are: on the disk that Asterisk writes to, later in a store."""
