mod full_queue;
mod lines;
