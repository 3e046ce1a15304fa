"""LearnSettings chosen, and results measured, on people and prompts held out."""
