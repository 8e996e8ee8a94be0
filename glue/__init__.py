"""Raw bucket to refined bucket: the Spark job and the parts it is made of."""
