// The programs share this module.
