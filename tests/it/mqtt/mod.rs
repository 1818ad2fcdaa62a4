mod cards;
mod discovery;
mod home_assistant_rules;
mod legacy;
mod migration;
mod payload;
mod publisher;
