mod network;
mod reconnect;
mod wakes;
