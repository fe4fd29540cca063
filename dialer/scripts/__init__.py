"""What agents say: scripts of talks, their versions, and the talks that were led by them."""
