"""What is asked: task detection, reading of questions, prompt builders and answer spaces."""
