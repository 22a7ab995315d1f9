"""`dali-mix check`: what is wrong with the images of a folder, before training."""
