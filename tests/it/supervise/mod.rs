mod limits;
mod restart;
mod shutdown;
mod tree;
mod worker;
