"""What is deleted when its time is over: tables that would grow for ever."""
