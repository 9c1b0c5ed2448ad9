"""What is given with an image."""
