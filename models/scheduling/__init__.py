"""Planning: what is done for each prompt in the seconds that there are."""
