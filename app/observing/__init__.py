"""What the service knows about its own work: times, counts and states, with no text and no person in them."""
