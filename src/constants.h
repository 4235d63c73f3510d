/* constants.h: the platform's fixed vocabulary, each word once.
 *
 * Every list names (CONSTANT, value[, the platform's own name]); constants.c makes the Lua tables and
 * the look-ups from it. Sources: the API page's ChannelPublishRecordVo and the platform's table of
 * business codes. */
#ifndef AITOEARN_CONSTANTS_H
#define AITOEARN_CONSTANTS_H

#include "compat.h"

HIDDEN_BEGIN

#define STATUS_LIST(X) \
  X(FAILED, -1) \
  X(WAITING_FOR_PUBLISH, 0) \
  X(PUBLISHED, 1) \
  X(PUBLISHING, 2) \
  X(WAITING_FOR_UPDATE, 3) \
  X(UPDATING, 4) \
  X(UPDATE_FAILED, 5) \
  X(QUEUED, 6) \
  X(PLATFORM_SCHEDULED, 7) \
  X(WAITING_FOR_USER_ACTION, 8) \
  X(CANCELED, 9)

#define CODE_LIST(X) \
  X(SUCCESS, 0, "Success") \
  X(BAD_REQUEST, 400, "BadRequest") \
  X(UNAUTHORIZED, 401, "Unauthorized") \
  X(NOT_FOUND, 404, "NotFound") \
  X(TOO_MANY_REQUESTS, 429, "TooManyRequests") \
  X(INTERNAL_SERVER_ERROR, 500, "InternalServerError") \
  X(BAD_GATEWAY, 502, "BadGateway") \
  X(SERVICE_UNAVAILABLE, 503, "ServiceUnavailable") \
  X(GATEWAY_TIMEOUT, 504, "GatewayTimeout") \
  X(VALIDATION_FAILED, 10002, "ValidationFailed") \
  X(ACCOUNT_NOT_FOUND, 12600, "AccountNotFound") \
  X(PUBLISH_RECORD_NOT_FOUND, 15000, "PublishRecordNotFound") \
  X(PUBLISH_TASK_NOT_FOUND, 15004, "PublishTaskNotFound") \
  X(PUBLISH_TASK_STATUS_INVALID, 15018, "PublishTaskStatusInvalid") \
  X(CHANNEL_ACCOUNT_NOT_FOUND, 15021, "ChannelAccountNotFound") \
  X(CHANNEL_PUBLISH_TASK_ALREADY_EXISTS, 15025, "ChannelPublishTaskAlreadyExists") \
  X(PUBLISH_FLOW_NOT_FOUND, 15050, "PublishFlowNotFound") \
  X(CHANNEL_PUBLISH_VALIDATION_FAILED, 15051, "ChannelPublishValidationFailed") \
  X(CHANNEL_PUBLISH_DUPLICATE_ITEM, 15052, "ChannelPublishDuplicateItem") \
  X(CHANNEL_PUBLISH_QUEUE_REMOVE_FAILED, 15053, "ChannelPublishQueueRemoveFailed") \
  X(CHANNEL_PUBLISH_PLATFORM_CANCEL_FAILED, 15054, "ChannelPublishPlatformCancelFailed") \
  X(CHANNEL_PUBLISH_CANCEL_NOT_SUPPORTED, 15055, "ChannelPublishCancelNotSupported") \
  X(CHANNEL_PUBLISH_QUEUE_FAILED, 15056, "ChannelPublishQueueFailed") \
  X(CHANNEL_PUBLISH_TIME_UPDATE_NOT_ALLOWED, 15057, "ChannelPublishTimeUpdateNotAllowed") \
  X(CHANNEL_PUBLISH_NOW_NOT_ALLOWED, 15058, "ChannelPublishNowNotAllowed") \
  X(CHANNEL_PUBLISH_PLATFORM_WORK_ID_MISSING, 15060, "ChannelPublishPlatformWorkIdMissing") \
  X(CHANNEL_PUBLISH_PLATFORM_NOT_SUPPORTED, 15062, "ChannelPublishPlatformNotSupported") \
  X(CHANNEL_PUBLISH_PLATFORM_STATUS_FAILED, 15063, "ChannelPublishPlatformStatusFailed") \
  X(CHANNEL_PLATFORM_RATE_LIMITED, 15071, "ChannelPlatformRateLimited") \
  X(CHANNEL_PLATFORM_RESPONSE_INVALID, 15072, "ChannelPlatformResponseInvalid") \
  X(CHANNEL_PUBLISH_MIXED_RELAY_AND_LOCAL_ACCOUNTS, 15087, \
    "ChannelPublishMixedRelayAndLocalAccounts") \
  X(CHANNEL_PUBLISH_PERMALINK_MISSING, 15093, "ChannelPublishPermalinkMissing") \
  X(CHANNEL_PLATFORM_SERVICE_UNAVAILABLE, 15094, "ChannelPlatformServiceUnavailable") \
  X(CHANNEL_PUBLISH_RETRY_NOT_ALLOWED, 15095, "ChannelPublishRetryNotAllowed") \
  X(CHANNEL_ACCOUNT_UNBOUND, 15096, "ChannelAccountUnbound") \
  X(API_KEY_INVALID, 19000, "ApiKeyInvalid") \
  X(RELAY_SERVER_UNAVAILABLE, 19001, "RelayServerUnavailable")

#define ACCOUNT_TYPE_LIST(X) \
  X(DOUYIN, "douyin") \
  X(XHS, "xhs") \
  X(WX_SPH, "wxSph") \
  X(KWAI, "KWAI") \
  X(YOUTUBE, "youtube") \
  X(WX_GZH, "wxGzh") \
  X(BILIBILI, "bilibili") \
  X(TWITTER, "twitter") \
  X(TIKTOK, "tiktok") \
  X(FACEBOOK, "facebook") \
  X(INSTAGRAM, "instagram") \
  X(THREADS, "threads") \
  X(PINTEREST, "pinterest") \
  X(LINKEDIN, "linkedin") \
  X(GOOGLE_BUSINESS, "google_business")

#define RECORD_TYPE_LIST(X) \
  X(VIDEO, "video") \
  X(ARTICLE, "article")

#define LINK_STATUS_LIST(X) \
  X(PENDING, "pending") \
  X(READY, "ready") \
  X(FAILED, "failed")

#define SOURCE_LIST(X) \
  X(PUBLISH, "publish") \
  X(TASK_LINK, "task_link") \
  X(OFFLINE_QR, "offline_qr") \
  X(BTL, "btl") \
  X(WEB, "web") \
  X(API, "api") \
  X(INTERNAL, "internal") \
  X(MCP, "mcp")

/* The platform's own name of a business code ("PublishRecordNotFound"), NULL for one not listed. */
const char *constants_code_name(double code);

/* Adds status, code, account_type, record_type, link_status, source (plain tables) and
 * status_name(n) to the module table on top of the stack. */
void constants_open(lua_State *L);

HIDDEN_END

#endif
