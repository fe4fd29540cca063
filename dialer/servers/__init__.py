"""The servers of one installation, what each of them owns, and the Asterisk nodes that they drive."""
