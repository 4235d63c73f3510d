--- What the command says, in the user's language: `t(text, ...)` is the text, or its translation, with its values.
---
--- English stands in the code; Chinese, for a locale whose language is zh, is this one table.
---@module "aitoearn.command.language"

local CHINESE = {
  -- statuses
  FAILED = "发布失败", WAITING_FOR_PUBLISH = "等待发布", PUBLISHED = "已发布", PUBLISHING = "发布中",
  WAITING_FOR_UPDATE = "等待更新", UPDATING = "更新中", UPDATE_FAILED = "更新失败", QUEUED = "排队中",
  PLATFORM_SCHEDULED = "平台定时", WAITING_FOR_USER_ACTION = "等待用户操作", CANCELED = "已取消",
  -- fields
  id = "编号", status = "状态", accountType = "平台", platform = "平台", type = "类型", publishTime = "发布时间", title = "标题",
  desc = "描述", workLink = "作品链接", linkStatus = "链接状态", accountId = "账号", flowId = "流程", createdAt = "创建时间",
  updatedAt = "更新时间", errorMsg = "错误", source = "来源", site = "站点", recordId = "记录", shareId = "分享编号",
  schemeUrl = "应用链接", shortLink = "短链接", expiresAt = "过期时间", deleted = "已删除",
  account = "账号", link = "链接", error = "错误", publish = "发布", updated = "更新",
  -- verdicts
  final = "已结束", ["not final"] = "未结束", live = "已上线", ["not live"] = "未上线", ["none yet"] = "暂无",
  ["a person must confirm it: aitoearn action"] = "需要人工确认：aitoearn action", ["seems to hang"] = "似乎卡住了",
  ["the server will try again"] = "服务器会自动重试", ["%s ago"] = "%s前", ["in %s"] = "%s后", looking = "查询中",
  ["next look in %s"] = "%s后再查",
  -- kinds of errors
  argument = "参数错误", dns = "域名解析失败", connect = "连接失败", tls = "TLS 失败", timeout = "超时", transport = "连接中断",
  http = "HTTP 错误", api = "平台错误", protocol = "响应无效", goal = "无法达到目标", cancelled = "已取消", closed = "已关闭",
  ["HTTP %s"] = "HTTP %s", ["record %s"] = "记录 %s", ["request %s"] = "请求 %s", ["%s attempts"] = "共 %s 次",
  -- what the library says
  ["it ended as %s without a link%s"] = "最终状态为“%s”，没有链接%s", ["it ended as %s%s"] = "最终状态为“%s”%s",
  ["the platform could not get its link%s"] = "平台未能取得作品链接%s",
  ["not reached within %s s, last seen as %s"] = "%s 秒内未达到，最后状态为“%s”", ["not reached within %s s%s"] = "%s 秒内未达到%s",
  ["%s of %s tasks missed the goal: %s"] = "%s / %s 条未达到目标：%s",
  ["the server accepted the cancel, but the record is %s"] = "服务器接受了取消，但记录的状态为“%s”",
  ["the deadline of %s s passed (%s)"] = "超过了 %s 秒的时限（%s）", ["record id: %s"] = "记录编号：%s",
  ["see aitoearn flow %s; where that finds nothing, publish again with --flow-id %s"] =
    "可能已经生效：请查看 aitoearn flow %s；若查不到，请用 --flow-id %s 重新发布",
  ["see aitoearn get %s"] = "可能已经生效：请查看 aitoearn get %s",
  -- the command line
  ["Usage: aitoearn COMMAND … [options]"] = "用法：aitoearn 命令 … [选项]", ["Usage:"] = "用法：", ["Arguments:"] = "参数：",
  ["Options:"] = "选项：", ["Example:"] = "示例：", ["Options of every command: aitoearn --help"] = "通用选项：aitoearn --help",
  ["Key: AITOEARN_API_KEY or the configuration. An example: aitoearn get --help"] =
    "密钥：环境变量 AITOEARN_API_KEY 或配置文件。示例见 aitoearn get --help",
  ["Publish records of the AiToEarn platform: read them, wait for them, publish."] =
    "AiToEarn 平台的发布记录：查询、等待、发布。",
  ["show this help"] = "显示帮助", ["show the version"] = "显示版本",
  ["print records; - or no id: ids from standard input"] = "查询记录；- 或不给编号：从标准输入读取",
  ["records by account, type, status or time"] = "按账号、类型、状态或时间列出记录",
  ["the posts of one flow"] = "一次发布（flow）的各条记录",
  ["until they are published (--for settled, link)"] = "等到发布完成（--for settled、link）",
  ["the same, with a line for each change in a pipe"] = "同上；在管道中每次变化输出一行",
  ["publish a post from a JSON file"] = "发布 JSON 文件中的内容",
  ["publish now what waits for its time"] = "立即发布定时的记录", ["publish at another time"] = "改变发布时间",
  ["publish again what failed"] = "重试失败的记录", ["cancel what is not published yet"] = "取消尚未发布的记录",
  ["delete records; the posts stay where they are"] = "删除记录；已发布的作品不受影响",
  ["what a person must do, as a link and a QR code"] = "需要人工完成的操作：链接和二维码",
  ["on which of your sites a record lives"] = "记录在哪个站点",
  ["what is wrong between here and the platform"] = "诊断与平台之间的问题",
  ["a script that completes commands and options"] = "命令补全脚本",
  ["a record's id"] = "记录编号", ["records' ids"] = "记录编号，可多个",
  ["records' ids; - or none: from standard input, one a line"] = "记录编号；- 或不给：从标准输入读取，每行一个",
  ["what to wait for (default: published)"] = "等待的目标（默认 published）", ["do not ask"] = "不询问",
  ["which list (default: history)"] = "哪个列表（默认 history）", ["an account's id"] = "账号编号",
  ["an account's type: douyin, xhs, youtube, …"] = "账号类型：douyin、xhs、youtube…",
  ["a number or a name: -1, failed; not with the other lists"] = "数字或名称：-1、failed；仅用于 history",
  ["publish time, the first"] = "发布时间的起点", ["publish time, the last"] = "发布时间的终点",
  ["the flow's id, as publish returned it"] = "publish 返回的流程编号",
  ["a post as JSON, the body of POST /flows; -: standard input"] = "JSON 内容，即 POST /flows 的正文；-：标准输入",
  ["the flow's id: the same one never publishes twice"] = "流程编号：同一个编号不会重复发布",
  ["wait until every post of it is published"] = "等到全部发布完成",
  ["when: local unless it has an offset; +30m: from now"] = "时间：无时区时为本地时间；+30m 表示从现在起",
  ["the shell"] = "所用的 shell", ["cn, intl or a base URL"] = "cn、intl 或服务器地址",
  ["one of the sites of the configuration"] = "配置中的一个站点", ["read the API key from this file"] = "从此文件读取 API 密钥",
  ["for a whole call with its retries (60)"] = "整个调用（含重试）的时限（60）",
  ["for one attempt (15); of wait and watch: for all (600)"] = "单次请求的时限（15）；wait 和 watch 为总时限（600）",
  ["one JSON object a line"] = "每行一个 JSON 对象", ["only these fields: id,status,workLink"] = "仅输出这些字段：id,status,workLink",
  ["auto, always or never"] = "auto、always 或 never",
  -- what is wrong with it
  ["%s; aitoearn %s says more"] = "%s；用法见 aitoearn %s",
  ["a command is missing"] = "缺少命令", ["unknown option %s"] = "未知选项 %s", ["unknown command %s"] = "未知命令 %s",
  ["missing: %s"] = "缺少参数 %s", ["option %s needs a value"] = "选项 %s 需要一个值",
  ["option %s takes no value"] = "选项 %s 不带值", ["option %s is given twice"] = "选项 %s 重复",
  ["%s: one of %s expected"] = "%s：应为 %s 之一", ["too many arguments"] = "参数过多",
  ['no status: "%s" (a number from -1 to 9, or a name such as published)'] = '没有此状态："%s"（-1 到 9 的数字，或 published 等名称）',
  ["names of fields expected, with commas between them"] = "应为以逗号分隔的字段名",
  ['no time: "%s" (2026-07-02, 2026-07-02 18:30, 2026-07-02T18:30:00+08:00, +30m)'] =
    '不是时间："%s"（2026-07-02、2026-07-02 18:30、2026-07-02T18:30:00+08:00、+30m）',
  ['no length of time: "%s" (30, 90s, 10m, 2h, 1d)'] = '不是时长："%s"（30、90s、10m、2h、1d）',
  ["aitoearn: needs the Lua module argparse: apt install lua-argparse, or luarocks install argparse"] =
    "aitoearn：需要 Lua 模块 argparse：apt install lua-argparse，或 luarocks install argparse",
  ["completion needs argparse 0.7 or later: luarocks install argparse"] =
    "completion 需要 argparse 0.7 或更高版本：luarocks install argparse",
  ["%s: no JSON object: %s"] = "%s：不是 JSON 对象：%s", ["a bug: "] = "程序错误：",
  ["standard input: %s"] = "标准输入：%s", ["standard output: %s"] = "标准输出：%s",
  ["standard input: a line of more than 64 KiB is no id"] = "标准输入：超过 64 KiB 的一行不是编号",
  ["aitoearn: reading ids, one a line; Ctrl-D ends"] = "aitoearn：请输入编号，每行一个；Ctrl-D 结束",
  -- the configuration
  ["%s cannot be read"] = "%s 无法读取", ["--key-file: %s holds no key"] = "--key-file：%s 中没有密钥",
  ["it returns no table of options"] = "没有返回选项表", ["it cannot be read"] = "无法读取",
  ["not run: it is another user's"] = "未执行：属于其他用户",
  ["not run: others may write it; chmod go-rwx '%s'"] = "未执行：其他用户可写；chmod go-rwx '%s'",
  ["it holds a key, and others may read it; chmod go-rwx '%s'"] = "其中有密钥，而其他用户可读；chmod go-rwx '%s'",
  ["no key for this server: set AITOEARN_API_KEY or give --key-file (a key of %s goes to its own server alone)"] =
    "此服务器没有密钥：请设置 AITOEARN_API_KEY 或使用 --key-file（%s 中的密钥只用于它自己的服务器）",
  ["no key: set AITOEARN_API_KEY, give --key-file, or put api_key into the configuration"] =
    "没有密钥：请设置 AITOEARN_API_KEY、使用 --key-file，或在配置中写入 api_key",
  ["%s: sites.%s has no api_key"] = "%s：sites.%s 没有 api_key",
  ["--server and --site exclude each other"] = "--server 和 --site 不能同时使用",
  ["--site: the configuration has no sites"] = "--site：配置中没有站点", default = "默认", none = "无",
  -- display
  ["%s left"] = "剩余 %s", ["%d of %d"] = "%d / %d", ["%d done"] = "已完成 %d", ["%d failed"] = "失败 %d", ["flow %s"] = "流程 %s",
  -- actions
  ["Cancel %s?"] = "取消 %s？", ["Delete the record %s?"] = "删除记录 %s？", [" [y/N] "] = " [y/N] ",
  ["nothing was done"] = "未执行任何操作",
  -- doctor
  ["a server with a certificate of its own needs AITOEARN_CA_FILE, or ca_file in the configuration"] =
    "使用自签证书的服务器需要 AITOEARN_CA_FILE，或配置中的 ca_file",
  versions = "版本", configuration = "配置", proxy = "代理", name = "域名", TLS = "TLS", answer = "响应", clock = "时钟",
  key = "密钥", settings = "设置", ["%d characters"] = "%d 个字符", ["%d characters, the last %s"] = "%d 个字符，末尾为 %s",
  ["file: %s; server from %s; key from %s"] = "文件：%s；服务器来自 %s；密钥来自 %s",
  ["make a key in the platform's settings, and set AITOEARN_API_KEY to it"] = "请在平台设置中创建密钥，并设置 AITOEARN_API_KEY",
  ["mend it, or say what you want with options; the file is %s"] = "请修正，或用选项指定；文件为 %s",
  ["make a new key in the settings of this site; a key of aitoearn.cn does not work on aitoearn.ai"] =
    "请在该站点的设置中新建密钥；aitoearn.cn 的密钥不能用于 aitoearn.ai",
  ["is the name right, and is there a network? try: getent hosts %s"] = "域名正确吗？网络通吗？可试：getent hosts %s",
  ["does a firewall or a proxy stand in between? try: curl -v %s"] = "中间有防火墙或代理吗？可试：curl -v %s",
  ["it took longer than --timeout: try again, or look at the network: curl -v %s"] = "超过了 --timeout：请重试，或检查网络：curl -v %s",
  ["the connection broke: try again, or look at the network: curl -v %s"] = "连接中断：请重试，或检查网络：curl -v %s",
  ["mend that environment variable or option"] = "请修正该环境变量或选项", ["try again later"] = "请稍后重试",
  ["those of the system"] = "系统自带", ["the server sends no date"] = "服务器没有发送时间",
  ["%+d s against the server's"] = "与服务器相差 %+d 秒", ["%s answers"] = "%s 有响应",
  ["set this machine's clock: timedatectl set-ntp true"] = "请校准本机时钟：timedatectl set-ntp true",
  ["verified; authorities: %s"] = "已验证；证书颁发机构：%s", ["none: http://"] = "无：http://", ["%s: accepted"] = "%s：有效",
}

local function locale()
  for _, name in ipairs { "LC_ALL", "LC_MESSAGES", "LANG" } do
    local value = os.getenv(name)
    if value and value ~= "" then
      return value
    end
  end
  return ""
end

local is_chinese = locale():find "^zh" ~= nil

-- A function that says a text in the user's language, with values in the places of its `%s` and the like.
local function translator(chinese)
  return function(text, ...)
    text = is_chinese and chinese[text] or text
    return select("#", ...) > 0 and text:format(...) or text
  end
end

local translate = translator(CHINESE)

return setmetatable({
  is_chinese = is_chinese,
  --- The same for other texts: those of the demo.
  translator = translator,
  --- What the platform is asked for its own messages in.
  accept_language = is_chinese and "zh-CN" or "en-US",
  --- The table, for the specs that hold the code against it.
  chinese = CHINESE,
}, {
  __call = function(_, ...)
    return translate(...)
  end,
})
