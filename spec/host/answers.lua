--- What a call says about its answer, and what options do on the wire: the same in every host.
-- @module spec.host.answers

--- The CA file comes from the environment, except where a client names its own.
---@param new fun(options: table): aitoearn.Client
---@param get fun(client: aitoearn.Client, id: string, opts: table): aitoearn.Record?, aitoearn.Error? waits as the host does
---@param place {http: string, https: string, client_cert: string, certs: string, key: string, run: string}
---@return table<string, string> how each call ended: record or kind, HTTP status and version, attempts
return function(new, get, place)
  local said = {}
  local function call(name, options, id)
    options.retry = options.retry or false
    local client, response = new(options), {}
    local record, err = get(client, ("%s~%s-%s"):format(id or "ok", name, place.run), { response = response })
    said[name] = ("%s %s %s %s"):format(record and "record" or err.kind, tostring(response.http_status),
      tostring(response.http_version), tostring(response.attempts))
    client:close()
  end
  local pem, key = place.certs .. "/client.pem", place.certs .. "/client.key"
  call("plain", { server = place.http })
  call("https", { server = place.https })
  call("http1", { server = place.https, http2 = false })
  call("failed", { server = place.https }, "code:15000")
  call("retried", { server = place.http, retry = { base = 0 } }, "http:502;ok")
  call("headers", { server = place.http, headers = { ["X-Spec"] = "the client's" } })
  call("site_headers", {
    headers = { ["X-Spec"] = "the client's" },
    sites = { cn = { server = place.http, api_key = place.key, headers = { ["x-spec"] = "the site's" } } },
  })
  call("certificate", { server = place.client_cert, cert_file = pem, key_file = key })
  call("no_certificate", { server = place.client_cert })
  call("site_certificate", {
    sites = { cn = { server = place.client_cert, api_key = place.key, cert_file = pem, key_file = key } },
  })
  call("other_ca", { server = place.https, ca_file = place.certs .. "/self_signed.pem" })
  return said
end
