---@meta
--- What an editor has to know about the C part, records, errors, options and events (LuaCATS). Nothing loads this file.

---@alias aitoearn.ErrorKind
---| "argument"  # an id that cannot be one, a phase that cannot wait: nothing was sent
---| "dns"
---| "connect"
---| "tls"
---| "timeout"   # an attempt, the deadline, or a wait
---| "transport" # reset, truncated, not HTTP at all
---| "http"      # a status outside 2xx and no envelope in the body
---| "api"       # an envelope with a code other than 0, whatever the HTTP status
---| "protocol"  # 2xx but not an envelope, or not a valid record, or over a limit
---| "goal"      # a wait's goal cannot be reached any more
---| "cancelled"
---| "closed"

-- A record's status: `aitoearn.status` has the names.

---@alias aitoearn.Status
---| -1 # FAILED: publishing failed; final
---| 0  # WAITING_FOR_PUBLISH: more than 24 h before its publish time
---| 1  # PUBLISHED: live; final
---| 2  # PUBLISHING: running
---| 3  # WAITING_FOR_UPDATE: live, an edit is queued
---| 4  # UPDATING: live, an edit is running
---| 5  # UPDATE_FAILED: live, the edit failed; final
---| 6  # QUEUED: a job of the next 24 h, or an automatic retry
---| 7  # PLATFORM_SCHEDULED: the platform itself will publish it
---| 8  # WAITING_FOR_USER_ACTION: a person must confirm
---| 9  # CANCELED: cancelled by the user; final
---| integer

---@alias aitoearn.AccountType
---| "douyin"|"xhs"|"wxSph"|"KWAI"|"youtube"|"wxGzh"|"bilibili"|"twitter"|"tiktok"|"facebook"|"instagram"|"threads"
---| "pinterest"|"linkedin"|"google_business"|string

---@alias aitoearn.RecordType "video"|"article"|string

---@alias aitoearn.LinkStatus "pending"|"ready"|"failed"|string

---@alias aitoearn.Source "publish"|"task_link"|"offline_qr"|"btl"|"web"|"api"|"internal"|"mcp"|string

---Why publishing failed, in the platform's words.
---@class aitoearn.ErrorData
---@field type string auth, permission, rate_limit, quota, validation, media_unavailable, … (the list grows)
---@field code string
---@field message string

---A publish record (ChannelPublishRecordVo): the API's own field names. Absent and null fields are nil; fields that a
---newer server adds are kept.
---@class aitoearn.Record
---@field id string
---@field accountType aitoearn.AccountType
---@field type aitoearn.RecordType
---@field status aitoearn.Status
---@field publishTime string ISO 8601, UTC
---@field flowId string?
---@field taskId string?
---@field userTaskId string?
---@field accountId string?
---@field title string?
---@field desc string?
---@field platformWorkId string?
---@field workLink string?
---@field linkStatus aitoearn.LinkStatus?
---@field linkError string? "" means none
---@field linkMeta table? free-form; nulls in it are `cjson.null`
---@field videoUrl string?
---@field coverUrl string?
---@field imgUrlList string[]?
---@field source aitoearn.Source?
---@field errorMsg string? "" means none
---@field errorData aitoearn.ErrorData?
---@field createdAt string? ISO 8601, UTC
---@field updatedAt string? ISO 8601, UTC
---@field is_final fun(self: aitoearn.Record): boolean no further change is expected
---@field is_live fun(self: aitoearn.Record): boolean it can be seen on its platform
---@field needs_action fun(self: aitoearn.Record): boolean a person must confirm it
---@field has_link fun(self: aitoearn.Record): boolean there is a link to use
---@field is_stalled fun(self: aitoearn.Record, now?: number): boolean publishing seems to hang
---@field will_retry fun(self: aitoearn.Record): boolean the server will try again by itself
---@field status_name fun(self: aitoearn.Record): string
---@field published_at fun(self: aitoearn.Record): number? Unix seconds
---@field created_at fun(self: aitoearn.Record): number? Unix seconds
---@field updated_at fun(self: aitoearn.Record): number? Unix seconds
---@field to_json fun(self: aitoearn.Record): string with the fields in the API's order

---One item of a flow: the part of a record that the platform gives there.
---@class aitoearn.FlowTask
---@field id string the record's
---@field accountId string
---@field platform aitoearn.AccountType
---@field status aitoearn.Status?
---@field publishTime string? ISO 8601, UTC
---@field platformWorkId string?
---@field workLink string?
---@field linkStatus aitoearn.LinkStatus?
---@field linkError string? "" means none
---@field linkMeta table?
---@field errorMsg string? "" means none

---What was published together.
---@class aitoearn.Flow
---@field flowId string
---@field tasks aitoearn.FlowTask[] by `publishTime`
---@field incomplete boolean? it was published, and cannot be seen yet: `tasks` is empty

---Which records `client:list_records` asks for.
---@class aitoearn.Filter
---@field list "history"|"queued"|"published"|nil default: "history"
---@field accountId string?
---@field accountType aitoearn.AccountType?
---@field status aitoearn.Status? not with the other two lists
---@field from number|string|nil of `publishTime`: Unix seconds, or ISO 8601 with `Z` or an offset; together with `to`
---@field to number|string|nil

---@class aitoearn.PostItem
---@field platform aitoearn.AccountType
---@field accountId string
---@field option table? of that platform
---@field overrides table? of `content`

---@class aitoearn.PostMedia
---@field url string a public URL
---@field options table?

---@class aitoearn.PostContent
---@field title string?
---@field body string?
---@field media aitoearn.PostMedia[]?
---@field cover any

---@class aitoearn.PostContext
---@field taskId string? the creator's own id
---@field materialGroupId string?
---@field materialId string?
---@field source aitoearn.Source?

---What `client:publish` sends: the body of `POST /flows`.
---@class aitoearn.Post
---@field items aitoearn.PostItem[] at least one
---@field content aitoearn.PostContent
---@field publishAt number|string|nil Unix seconds, or ISO 8601 with `Z` or an offset; default: now
---@field flowId string? the idempotency key; default: a UUID
---@field context aitoearn.PostContext?

---What a person must do to confirm a post (`client:user_action`).
---@class aitoearn.UserAction
---@field recordId string
---@field platform aitoearn.AccountType
---@field shareId string
---@field schemeUrl string
---@field shortLink string
---@field expiresAt string? ISO 8601, UTC

---One attempt of a call that failed.
---@class aitoearn.Attempt
---@field server string base URL
---@field kind aitoearn.ErrorKind
---@field code integer?
---@field http_status integer?
---@field elapsed number seconds

---What went wrong. `tostring` makes one line of it. The API key is nowhere in it.
---@class aitoearn.Error
---@field kind aitoearn.ErrorKind
---@field message string
---@field code integer? the platform's business code, for kind `api`
---@field name string? the platform's name of the code
---@field http_status integer?
---@field request_id string? the server's, else the one that was sent
---@field server string? base URL
---@field site string?
---@field record_id string?
---@field retryable boolean the same call may succeed later
---@field retry_at number? Unix seconds: when the server said that it may
---@field body string? its first 512 bytes, for `http` and `protocol`
---@field attempts aitoearn.Attempt[]
---@field hint string? one sentence
---@field record aitoearn.Record? the last good one, if a wait failed
---@field flow aitoearn.Flow? the last good one, if a wait for a flow failed
---@field issues table? of 15051: what is wrong with the post, as the server said it (`platform`, `accountId`, `issues`)
---@field flowId string? that a publication was, or may have been, made with
---@field may_have_happened boolean? of a write: whether it took place is not known; `retryable` is false then

---@class aitoearn.RetryOptions
---@field max_attempts integer? 3, the first one included
---@field base number? 0.25 s: the longest first backoff
---@field max_delay number? 10 s: the longest backoff of all

---@class aitoearn.SiteOptions
---@field server string|string[]|nil may be left out for `cn` and `intl`
---@field api_key string|fun(): string
---@field headers table<string, string>? beside the client's, or in their place
---@field cert_file string? in the place of the client's
---@field key_file string?

---@alias aitoearn.HostOption
---| "blocking"|"nginx"|"luv"|"cqueues"|"copas"|aitoearn.Host|fun(engine: aitoearn.Engine): aitoearn.Host

---@class aitoearn.Options
---@field server string|string[]|nil "cn" (default), "intl", a base URL, or base URLs that serve the same site
---@field api_key string|fun():string|nil default: the environment's AITOEARN_API_KEY
---@field sites table<string, aitoearn.SiteOptions>? instead of `server` and `api_key`
---@field site string? the default one of `sites`
---@field connect_timeout number|false|nil 5 s
---@field timeout number|false|nil 15 s, for one attempt
---@field deadline number|false|nil 60 s, for the whole call
---@field retry aitoearn.RetryOptions|false|nil
---@field max_connections integer? 8 per endpoint
---@field max_response_bytes integer? 1 MiB, for lists 8 MiB, after decompression; once set it holds for both
---@field http2 boolean? true; false: HTTP/1.1 alone
---@field headers table<string, string>? further request headers; their values are in no message
---@field max_rate number? requests per second and site
---@field ca_file string? PEM; default: the environment's AITOEARN_CA_FILE, SSL_CERT_FILE, CURL_CA_BUNDLE, else libcurl's
---@field cert_file string? PEM: a client certificate
---@field key_file string? PEM: its key, if that is not in `cert_file`
---@field log "info"|"debug"|nil a line for each event; default: the environment's AITOEARN_LOG
---@field share string|aitoearn.Store? a store for holds, slots under `max_rate` and server health, which other clients use
---too: the name of a `lua_shared_dict` in nginx, or what `require("aitoearn.share.redis").new` returns
---@field proxy string? default: the environment's
---@field user_agent string?
---@field accept_language string? of messages; the hints are Chinese if it begins with "zh"
---@field allow_http boolean? let `http://` go to other hosts than this one
---@field on_event fun(event: aitoearn.Event)?
---@field host aitoearn.HostOption? how to wait; default: what is detected

---@class aitoearn.CallOptions
---@field site string? not for `locate`
---@field timeout number|false|nil
---@field deadline number|false|nil for the whole call
---@field retry aitoearn.RetryOptions|false|nil
---@field request_id string? 1 to 128 bytes
---@field response aitoearn.Response? filled in, on success and on failure; for calls with one answer

---What the record does not say; a table of the caller's that a call fills in.
---@class aitoearn.Response
---@field http_status integer?
---@field http_version string? "1.1", "2"
---@field request_id string?
---@field server string? base URL
---@field site string?
---@field attempts integer?
---@field elapsed number? seconds
---@field date number? Unix seconds, by the server's clock

---@class aitoearn.BatchOptions
---@field site string?
---@field timeout number|false|nil
---@field deadline number|false|nil for each id
---@field retry aitoearn.RetryOptions|false|nil
---@field request_id string?
---@field concurrency integer? 32
---@field ordered boolean? in the order of the ids; for `each_record`
---@field on_record fun(id: string, record: aitoearn.Record?, err: aitoearn.Error?)? not for `each_record`

---@class aitoearn.WaitOptions
---@field goal "settled"|"published"|"link"|fun(record: aitoearn.Record): boolean?|nil
---@field timeout number|false|nil 600 s for the whole wait
---@field deadline number|false|nil for each look
---@field on_change fun(record: aitoearn.Record, previous: aitoearn.Record?, id: string)?
---@field pace fun(record: aitoearn.Record, previous: aitoearn.Record?): number seconds until the next look
---@field concurrency integer? 32, for `wait_all`
---@field survey boolean? true: `wait_all` asks a list if that replaces many looks
---@field on_record fun(id: string, record: aitoearn.Record?, err: aitoearn.Error?)? of the task that `wait_all` is
---@field site string?
---@field retry aitoearn.RetryOptions|false|nil
---@field request_id string?

---An attempt ended. `kind`, `code` and `http_status` are set if it failed.
---@class aitoearn.AttemptEvent
---@field type "attempt"
---@field site string
---@field server string base URL
---@field record_id string?
---@field attempt integer 1 for the first
---@field elapsed number seconds
---@field request_id string
---@field kind aitoearn.ErrorKind?
---@field code integer?
---@field http_status integer?

---An attempt failed and will be repeated.
---@class aitoearn.RetryEvent
---@field type "retry"
---@field site string
---@field server string base URL
---@field record_id string?
---@field attempt integer the one that failed
---@field kind aitoearn.ErrorKind
---@field code integer?
---@field http_status integer?
---@field delay number seconds until the next one

---A base URL is not asked for a while, or is in service again.
---@class aitoearn.HealthEvent
---@field type "eject"|"restore"
---@field site string
---@field server string base URL
---@field seconds number? for how long, of "eject"

---A wait looked at its record. `kind`, `code` and `http_status` are set if that failed, `status` and `stalled` if it
---did not.
---@class aitoearn.PollEvent
---@field type "poll"
---@field site string
---@field record_id string?
---@field flow_id string? of `wait_flow`, in the place of `record_id`
---@field look integer 1 for the first
---@field status aitoearn.Status?
---@field stalled boolean?
---@field next_in number? seconds until the next look; nil: it was the last
---@field kind aitoearn.ErrorKind?
---@field code integer?
---@field http_status integer?

---A call ended. `kind`, `code` and `attempts` are set if it failed, `status` if it brought a record.
---@class aitoearn.DoneEvent
---@field type "done"
---@field method string
---@field record_id string?
---@field flow_id string?
---@field elapsed number seconds
---@field status aitoearn.Status?
---@field kind aitoearn.ErrorKind?
---@field code integer?
---@field site string?
---@field attempts integer?

---The store of the option `share` failed, or works again; the client goes on alone meanwhile.
---@class aitoearn.ShareEvent
---@field type "share"
---@field message string?

-- What `on_event` gets.

---@alias aitoearn.Event aitoearn.AttemptEvent|aitoearn.RetryEvent|aitoearn.HealthEvent|aitoearn.PollEvent|aitoearn.DoneEvent
---| aitoearn.ShareEvent

---@class aitoearn.Stats
---@field calls integer
---@field attempts integer
---@field retries integer
---@field bytes integer received, headers included
---@field connections integer opened
---@field in_flight integer
---@field tasks integer that still run
---@field outcomes table<string, integer> calls that ended, by their error's kind; "ok" without one
---@field latency {bounds: number[], counts: integer[], sum: number, count: integer} of calls, in seconds
---@field sites table<string, {endpoints: aitoearn.EndpointHealth[], held_for: number?, retry_budget: number}>

---One request, or a timer. From the C part.
---@class aitoearn.Transfer
---@field is_done fun(self: aitoearn.Transfer): boolean
---@field result fun(self: aitoearn.Transfer): aitoearn.Record?, aitoearn.Failure? reads the result, once
---@field cancel fun(self: aitoearn.Transfer) ends it at once
---@field fire fun(self: aitoearn.Transfer) ends a timer
---@field ending fun(self: aitoearn.Transfer): string? why it ended early: "cancelled", "closed", "timeout"
---@field started_at fun(self: aitoearn.Transfer): number?
---@field elapsed fun(self: aitoearn.Transfer): number
---@field date fun(self: aitoearn.Transfer): number?
---@field request_id fun(self: aitoearn.Transfer): string
---@field is_reused fun(self: aitoearn.Transfer): boolean over a connection that was used before
---@field http_status fun(self: aitoearn.Transfer): integer?
---@field http_version fun(self: aitoearn.Transfer): string? "1.0", "1.1", "2"

---A client's transfers. From the C part.
---@class aitoearn.Engine
---@field get fun(self: aitoearn.Engine, origin: integer, prefix: string, id: string, api_key: string, ...): aitoearn.Transfer
---@field send fun(self: aitoearn.Engine, origin: integer, request: table, api_key: string, ...): aitoearn.Transfer
---@field timer fun(self: aitoearn.Engine, seconds: number?): aitoearn.Transfer
---@field poll fun(self: aitoearn.Engine, ms: number): integer moves everything on; how many are done
---@field next fun(self: aitoearn.Engine): aitoearn.Transfer? one that is done
---@field getfd fun(self: aitoearn.Engine): integer? readable whenever `poll` has work
---@field send_at_once fun(self: aitoearn.Engine) each get sends its request itself
---@field random fun(self: aitoearn.Engine): number
---@field stats fun(self: aitoearn.Engine): table
---@field close fun(self: aitoearn.Engine)
