--- What demo.lua says, in Chinese. `%s` and the like stand in the order of the English text.
return {
  ["aitoearn %s, %s, the local platform at %s"] = "aitoearn %s，%s，本地平台 %s",
  ["starting the local platform …"] = "正在启动本地平台……",
  attempt = "%s 次请求", ["new connection"] = "%s 条新连接", record = "%s 条记录", request = "%s 个请求",
  connection = "%s 条连接", ["%s, %.0f ms, %s"] = "%s，%.0f 毫秒，%s",
  -- states
  ["One record in each state"] = "每种状态一条记录",
  ["  status                        final live link  attempts     ms  connections"] =
    "  状态                         终态 上线 链接      请求   毫秒   连接",
  ["yes  "] = "是   ", ["1 new  "] = "新建  ", ["kept  "] = "沿用  ",
  ["under way"] = "正在发布", ["an edit is queued"] = "修改在排队", ["an edit is under way"] = "正在修改",
  ["by the user"] = "由用户取消", ["a person must confirm it"] = "需要人工确认",
  ["its link is there to share"] = "有链接可以分享", ["due in %.0f min"] = "%.0f 分钟后发布",
  -- trouble
  ["When something is wrong"] = "出错的时候", ["hint:"] = "提示：", ["the first endpoint"] = "第一个端点", ["the server"] = "服务器",
  ["refuses connections"] = "拒绝连接", ["says %s"] = "返回 %s", ["  ↻ %s %s: again in %.2f s"] = "  ↻ %s%s：%.2f 秒后重试",
  ["a record that is not there"] = "不存在的记录", ["a key of the other site"] = "另一个站点的密钥",
  ["a rate limit, waited out"] = "限流，等到可以再试", ["a failover to the backup"] = "切换到备用端点",
  ["  %s %s: %s"] = "  %s %s：%s", ["  %s %s: %s %s"] = "  %s %s：%s %s",
  -- a batch
  ["%s a second"] = "每秒 %s 条", ["  %s %s, %s   %s"] = "  %s %s，%s   %s",
  ["%d not found"] = "%d 条没有找到", ["%.1f s: %s a second"] = "%.1f 秒，每秒 %s 条",
  ["    %s, %d of them since a gateway had failed, over %s"] = "    %s，其中 %d 个因网关失败而重发，共用 %s",
  -- a wait and a post
  ["From scheduled to live"] = "从定时到上线", ["waiting for it to go live"] = "等待上线",
  ["From a post to its links"] = "从发布到链接", publishing = "发布中", ["following the flow"] = "跟踪流程",
  ["asking what a person has to do"] = "查询需要人做什么", retrying = "重试中",
  ["  %s %s: a person confirms it at %s"] = "  %s %s：由人在 %s 确认",
  ["  ↻ %s: failed, so it is retried"] = "  ↻ %s：失败，重试",
  ["  %s published to %d accounts %s"] = "  %s 已发布到 %d 个账号%s",
  ["(the first answer was lost on the way, so it was sent again: %d flow all the same)"] =
    "（第一个应答丢失，所以又发了一次：仍然只有 %d 个流程）",
  -- what next
  ["Publish a post here with %s; or, after %s"] = "在这里发布作品：%s；或者在 %s 之后，",
  ["and with AITOEARN_API_KEY set, follow a record of your own with %s."] = "设置好 AITOEARN_API_KEY，跟踪你自己的记录：%s。",
  ["Or watch %s, an animation at 60 frames a second"] = "或看看 %s，每秒 60 帧的动画，",
  ["that does not stutter while a hundred records are in flight."] = "同时查询一百条记录也不卡顿。",
}
