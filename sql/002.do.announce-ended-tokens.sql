-- Why: a server that remembers a token must hear at once that it has ended, whoever ended it and by whatever statement.

create function password_grant.announce_ended_token() returns trigger
language plpgsql as $$
begin
  perform pg_notify('password_grant', 'token ' || old.id);
  return null;
end
$$;
comment on function password_grant.announce_ended_token() is
  'announces on the channel password_grant that whatever is remembered of a token is over';

create trigger tokens_ended after update or delete on password_grant.tokens
for each row execute function password_grant.announce_ended_token();
