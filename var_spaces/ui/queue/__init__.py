"""The line of runs and the server around it: who may ask for how much, where runs happen."""
