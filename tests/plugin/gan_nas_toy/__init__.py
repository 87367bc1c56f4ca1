"""What a stranger adds to gan-nas."""
