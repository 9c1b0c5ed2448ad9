"""What media have in common."""
