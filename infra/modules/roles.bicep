// Custom roles, from permissions.json: exact actions, no wildcard, assignable in this resource group only.
param roles array

@description('Makes the names unique in the tenant, where role names must be.')
param suffix string

resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [for item in roles: {
  name: guid(resourceGroup().id, 'darkroom', item.key)
  properties: {
    roleName: '${item.name} (${suffix})'
    description: item.description
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: item.actions
        dataActions: item.dataActions
      }
    ]
  }
}]
