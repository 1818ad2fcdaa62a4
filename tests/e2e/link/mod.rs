mod ser2net;
