"""What a demo model says of itself: which words of a prompt its weights have never seen."""
