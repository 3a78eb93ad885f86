"""What `modelkeep doctor` looks at, what it says, and what it repairs."""
