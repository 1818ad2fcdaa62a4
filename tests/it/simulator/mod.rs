mod formats;
mod link;
mod speed;
