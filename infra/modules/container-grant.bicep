// One role for one identity on one blob container.
param accountName string
param container string
param principalId string
param principalType string

@description('Key of a role in permissions.json; roles.bicep names its definition by the same rule.')
param roleKey string
param why string

var roleDefinitionId = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', guid(resourceGroup().id, 'darkroom', roleKey))

resource target 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = {
  name: '${accountName}/default/${container}'
}

resource grant 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(target.id, principalId, roleKey)
  scope: target
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: roleDefinitionId
    description: why
  }
}
