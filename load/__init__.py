"""What the running API bears: many callers at once, and many sessions one after the other."""
