# /etc/profile.d/stepwell.sh: variables for training on this node. Jobs that read no profile need
# these three variables in their own environment.
export STEPWELL_SOCKET=/run/stepwell/stepwell.sock
export STEPWELL_DIR=/var/lib/stepwell/journals
export STEPWELL_NO_DAEMON=1
