"""`dali-mix preview`: a contact sheet of mixed images."""
