--- The keys of the two sites. Used by both sides of the platform.
-- @module spec.platform.keys
return {
  cn = { key = "ak_cn_7d1f0c52a94be86317f2d05ac8e94b60", limited = "ak_cn_1b8e6f20d3c94a75be0219f7a6d38c54" },
  intl = { key = "ak_intl_e2940ab71c6f83d5590e7bd2f41a8c36", limited = "ak_intl_5c07d9b3e8214f6aa1f03e72c6d4b958" },
}
