-- SPDX-License-Identifier: MIT
-- cancel.lua - cancels a job that is not dead.
--
-- ARGV: id, or ''; then the key. Returns 1: it is deleted; 2: it is at a worker, which will be
-- told; 0: there is none.

local id = ARGV[1]
if id == '' then
    id = redis.call('GET', P .. 'key:' .. ARGV[2]) or ''
end
local job = P .. 'job:' .. id
if id == '' or redis.call('HEXISTS', job, 'body') == 0 or redis.call('ZSCORE', DEAD, id) then
    return 0
end
if redis.call('ZSCORE', LEASES, id) then
    redis.call('HSET', job, 'cancel', '1')
    return 2
end
finish(id)
count('cancelled')
return 1
