mod retry;
mod schedule;
mod scheduler;
fn main() {}
