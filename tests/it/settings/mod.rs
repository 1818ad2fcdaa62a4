mod layers;
mod mistakes;
mod pytes_serial;
mod shipped;
mod verbs;
