mod json_file;
