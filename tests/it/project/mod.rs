mod deploy;
mod docs;
mod imports;
mod licences;
