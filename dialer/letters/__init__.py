"""Letters that are sent in talks, by e-mail."""
