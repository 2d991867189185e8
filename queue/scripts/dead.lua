-- SPDX-License-Identifier: MIT
-- dead.lua - a portion of the dead list, the newest first. Changes nothing.
--
-- ARGV: how many to skip, how many to return. Returns {how many there were, job...}, each job {id,
-- key, beginning of the body, its size, attempts, status, errors, why, age}.

local time = now()
local page = redis.call('ZREVRANGE', DEAD, ARGV[1], ARGV[1] + ARGV[2] - 1, 'WITHSCORES')
local answer = {#page / 2}
for i = 1, #page, 2 do
    local body, key, attempts, status, errors, why = unpack(redis.call('HMGET',
        P .. 'job:' .. page[i], 'body', 'key', 'attempts', 'status', 'errors', 'why'))
    if body then
        answer[#answer + 1] = {
            page[i], key or '', string.sub(body, 1, 4096), #body, tonumber(attempts or 0),
            tonumber(status or 0), errors or '', why, time - page[i + 1],
        }
    end
end
return answer
