mod damage;
mod energy;
mod health;
mod plausibility;
mod trend;
