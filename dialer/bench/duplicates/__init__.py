"""How well the near rule of duplicates finds who is one person, in a base whose truth is known."""
