"""What is wrong with a source of pictures, found before anything is learnt from it: verdicts, their reasons, their remedies."""
