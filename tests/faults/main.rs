//! Bad input on purpose: broken model files, hostile pictures, unwritable folders, wrong command lines.
//! Each must give a typed error that names the file, quickly, and leave the program alive.
