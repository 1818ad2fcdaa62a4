mod killed;
mod ledger;
