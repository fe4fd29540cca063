"""What customers say of a talk in the survey after it."""
