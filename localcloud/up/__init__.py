"""`localcloud up`: all of Azure that an application needs, supervised as one."""
